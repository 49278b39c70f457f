"""The remote protocol of the GNU debugger: packets, session, and the debugger's hold on a machine."""
