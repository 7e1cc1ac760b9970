using Xunit;

// ./test runs the classes side by side, each in a process with namespaces of its own. Inside such a process one test runs at a time:
// they share the network of that process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
