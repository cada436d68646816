"""One engine per folder; nothing above imports an engine, nothing below knows one."""
