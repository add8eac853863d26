"""What tests share: fakes, real servers, fixtures."""
