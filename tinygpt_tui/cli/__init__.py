"""The `tinygpt` command: thin commands over the engine, each imported only when it is called."""
