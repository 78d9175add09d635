"""What runs inside a session: standard library only, started by `_bwrap.guest_command`.

The engine imports a few of its modules too, so none of them may depend on the rest of the
package.
"""
