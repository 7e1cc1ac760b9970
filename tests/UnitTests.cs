using Isthmus.Testing;

// The slowest test takes some 20 s on a busy machine, and those that start other programs twenty times as long where two CPUs do all other work first.
[assembly: TimeLimit(minutes: 15)]
