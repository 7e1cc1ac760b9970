using Isthmus.Testing;

// The slowest test takes some 20 s on a busy machine.
[assembly: TimeLimit(minutes: 5)]
