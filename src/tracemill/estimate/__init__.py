"""What a run will take, before it is paid for: counted, estimated by stated rules, or measured on a few prompts."""
