using Xunit;

// ./test runs the classes in parallel, each in a process with its own namespaces. Inside such a process, one test runs at a
// time, because all tests share the network of that process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
