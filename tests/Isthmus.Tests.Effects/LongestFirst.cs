using Isthmus.Tests.Effects;
using Isthmus.Tests.Effects.Telemetry;
using Xunit;
using Xunit.Sdk;
using Xunit.v3;

[assembly: TestCollectionOrderer(typeof(LongestFirst))]

namespace Isthmus.Tests.Effects;

/// <summary>The classes that take longest come first: one that begins last runs while a CPU is idle.</summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    private static readonly Type[] Longest = [typeof(FieldEffectTests), typeof(TracingTests)];

    /// <inheritdoc/>
    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : ITestCollection =>
        [.. testCollections.OrderByDescending(collection => Longest.Any(type => collection.TestCollectionDisplayName.Contains($" {type.FullName} ",
            StringComparison.Ordinal)))];
}
