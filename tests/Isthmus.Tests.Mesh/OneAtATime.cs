using Xunit;

// Each of these tests runs whole clusters: two at a time on two cores make each other late, not faster.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
