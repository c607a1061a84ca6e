"""What differs between program and account, system by system. Only reads; may not decide what to do about it."""
