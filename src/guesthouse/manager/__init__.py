"""The manager: the verbs on images and guests, which the command line and the API share."""
