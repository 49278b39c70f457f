"""How a guest with systemd starts the agent: where its files belong, and the unit's text."""

from guesthouse.guest.agent.main import NO_PORT

EXECUTABLE = "/usr/lib/guesthouse/agent"
UNIT = "/usr/lib/systemd/system/guesthouse-agent.service"
ENABLED = "/etc/systemd/system/multi-user.target.wants/guesthouse-agent.service"
"""A symbolic link to the unit, so that it is started."""

# The agent finds its port by itself and waits two minutes for it, so that neither udev's names nor its order matter. It
# starts once people may log in: who hears that it is ready expects a system that is.
UNIT_TEXT = f"""[Unit]
Description=Guesthouse guest agent
After=network.target systemd-user-sessions.service

[Service]
ExecStart={EXECUTABLE}
WorkingDirectory=/root
Environment=HOME=/root USER=root LOGNAME=root SHELL=/bin/sh
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
KillMode=process
Restart=always
RestartSec=1
RestartPreventExitStatus={NO_PORT}
SuccessExitStatus={NO_PORT}
OOMScoreAdjust=-500
IgnoreSIGPIPE=no
TasksMax=infinity

[Install]
WantedBy=multi-user.target
"""
