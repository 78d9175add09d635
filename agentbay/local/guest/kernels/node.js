// Runs JavaScript for node.py, with the rules of a console: values stay between runs,
// `const` and `let` can be declared again, and `await` needs no function around it.
"use strict";

const inspector = require("node:inspector");
const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");
const util = require("node:util");
const { createRequire } = require("node:module");
const { pathToFileURL } = require("node:url");
const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");

// `import()` as a call, unless it is a property or the beginning of a text.
const IMPORT = /(?<![\w$.'"`])import\s*\(/g;
const OWN_FRAME = new RegExp(`node:|${__filename.replace(/[^\w]/g, "\\$&")}|new Promise`);
const INTERRUPTED = {
  done: null,
  error: { name: "Interrupted", value: "the run was interrupted", traceback: "" },
};

if (isMainThread) serve(Number(process.argv[2]), Number(process.argv[3]));
else watch(workerData);

// In a thread of its own, because the main one may be busy for ever: each byte on the
// socket asks to end what runs there.
function watch(descriptor) {
  new net.Socket({ fd: descriptor }).on("data", () => {
    // Connected for a moment only: a process with a connected debugger does not exit.
    const session = new inspector.Session();
    session.connectToMainThread();
    // The inspector does not wake a thread up that has nothing to do.
    const awake = setInterval(() => {}, 20);
    session.post("Runtime.terminateExecution", () => {
      clearInterval(awake);
      session.disconnect();
      // What awaits something does not end by that.
      parentPort.postMessage("stopped");
    });
  });
}

function serve(control, stop) {
  const socket = new net.Socket({ fd: control });
  const session = new inspector.Session();
  session.connect();
  const evaluate = util.promisify(session.post).bind(session);
  const worker = new Worker(__filename, { workerData: stop });
  let stopped = () => {};
  worker.on("message", () => stopped());
  worker.unref();
  const local = createRequire(path.join(process.cwd(), "session.js"));
  const define = (name, value) =>
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  define("require", local);
  define("module", { exports: {} });
  define("exports", globalThis.module.exports);
  // The engine of JavaScript refuses `import()` in a console: it is renamed to this.
  define("__import", (name) => import(address(local, String(name))));
  define("__show", (value) => (value === undefined ? null : util.inspect(value)));
  for (const kind of ["uncaughtException", "unhandledRejection"])
    process.on(kind, (error) => fs.writeSync(2, `Uncaught ${util.inspect(error)}\n`));
  process.argv.splice(1);

  const answer = (message) => socket.write(JSON.stringify(message) + "\n");
  let received = "";
  socket.setEncoding("utf8");
  socket.on("end", () => process.exit());
  socket.on("data", async (data) => {
    received += data;
    const lines = received.split("\n");
    received = lines.pop();
    for (const line of lines) {
      const request = JSON.parse(line);
      if (request.environment) Object.assign(process.env, request.environment);
      else {
        const interrupted = new Promise((resolve) => (stopped = () => resolve(INTERRUPTED)));
        answer(await Promise.race([run(evaluate, request.code), interrupted]));
      }
    }
  });
  answer({ ready: true });
}

// Modules are found as from a file in the directory where the process began.
function address(local, name) {
  if (/^[.\/]/.test(name)) return pathToFileURL(path.resolve(name)).href;
  if (/^\w+:/.test(name)) return name;
  const found = local.resolve(name);
  return path.isAbsolute(found) ? pathToFileURL(found).href : found;
}

async function run(evaluate, code) {
  const expression = code.replace(IMPORT, "__import(");
  let found;
  try {
    found = await evaluate("Runtime.evaluate", { expression, replMode: true, awaitPromise: true });
  } catch {
    return INTERRUPTED;
  }
  if (found.exceptionDetails) return { done: null, error: failure(found.exceptionDetails) };
  const { value, objectId, unserializableValue } = found.result;
  const options = {
    functionDeclaration: "function (value) { return __show(value); }",
    arguments: [{ value, objectId, unserializableValue }],
    returnByValue: true,
  };
  const self = (await evaluate("Runtime.evaluate", { expression: "globalThis" })).result;
  const call = { objectId: self.objectId, ...options };
  const text = (await evaluate("Runtime.callFunctionOn", call)).result.value;
  return { done: text == null ? null : { "text/plain": text }, error: null };
}

function failure(details) {
  const thrown = details.exception ?? { description: details.text };
  const stack = thrown.description ?? String(thrown.value ?? thrown.unserializableValue);
  if (thrown.subtype !== "error") return { name: "Uncaught", value: stack, traceback: stack };
  const lines = stack.split("\n").filter((line) => !OWN_FRAME.test(line));
  const end = lines.findIndex((line) => /^\s+at /.test(line));
  const message = lines.slice(0, end < 0 ? undefined : end).join("\n");
  const name = thrown.className;
  const value = message.replace(/^[\w$]+(?: \[\w+\])?: /, "");
  return { name, value, traceback: lines.join("\n") };
}
