"""The log, the keys, the events, and the rights of a data subject. Imports no other package of Parloir."""
