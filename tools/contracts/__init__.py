"""Generated code and checks of the protobuf contracts."""
