"""What tests of all folders share: real servers, and keys and settings for practice."""
