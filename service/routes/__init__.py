"""The routes: read, decode, call one function of another room, encode."""
