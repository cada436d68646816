"""Request and reply schemas shared by HTTP and SDK; parsed once, at the edge."""
