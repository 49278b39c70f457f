"""Our program in the guest: runs commands and makes system calls for the host, over one port; docs/guest-agent.md."""
