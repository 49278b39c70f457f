"""The virtualization layer: instruction sets, engines, memory, devices and the machine made of them."""
