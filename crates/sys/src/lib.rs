//! The only unsafe code of Exeunt: signal handlers
