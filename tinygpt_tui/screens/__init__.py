"""The screens of the playground: one file and one stylesheet each."""
