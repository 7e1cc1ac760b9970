using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>A name with several addresses gets one verdict for each, and the worst decides.</summary>
public sealed class TraceAddressTests
{
    [Fact]
    public void A_name_with_one_address_has_no_list_of_them()
    {
        var trace = Walk("\"10.96.0.5\"");
        Assert.Empty(trace.Addresses);
        Assert.DoesNotContain("addresses", TraceText.Write(trace, details: false));
        Assert.Null(TraceText.Tree(trace)["addresses"]);
    }

    [Fact]
    public void The_address_that_fails_decides_wherever_it_is_in_the_list()
    {
        var trace = Walk("\"10.96.0.5\", \"10.1.0.5\", \"10.96.0.6\"", walk => walk.Facts.Address?.ToString() == "10.1.0.5"
            ? new("GET /", false, 503, 3, "10.1.0.5:8080", "UF", "connection refused", []) : new("GET /", true, 200, 2, "10.1.0.5:8080", "-", "", []));
        Assert.False(trace.Succeeds);
        Assert.Equal("10.1.0.5", trace.Address);
        Assert.Equal([("10.96.0.5", true), ("10.1.0.5", false), ("10.96.0.6", true)], trace.Addresses.Select(verdict => (verdict.Address, verdict.Succeeds)));
        var text = TraceText.Write(trace, details: false);
        Assert.Contains("The name has 3 addresses; the hops above are those of 10.1.0.5:", text);
        Assert.Contains("  ✔ 10.96.0.5  200 in 2 ms", text);
        Assert.Contains("  ✘ 10.1.0.5   503 in 3 ms; fails at: call, ", text);
        Assert.Contains("(1 of 3 addresses)", text);
    }

    [Fact]
    public void Of_many_addresses_the_first_are_followed_and_the_rest_is_counted()
    {
        var trace = Walk(string.Join(", ", Enumerable.Range(1, 40).Select(i => $"\"10.96.0.{i}\"")));
        Assert.Equal((AddressWalk.MostAddresses, 40 - AddressWalk.MostAddresses), (trace.Addresses.Count, trace.Unfollowed));
        Assert.Contains($"  ? {40 - AddressWalk.MostAddresses} more: not followed", TraceText.Write(trace, details: false));
        Assert.Equal(32, (int)TraceText.Tree(trace)["addresses_not_followed"]!);
    }

    private static CallTrace Walk(string addresses, Func<AddressWalk, MadeCall>? called = null)
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace("\"10.96.0.5\"", addresses, StringComparison.Ordinal);
        var first = new AddressWalk(scenario.Facts(), new Random(1)).Again();
        scenario.Complete(first);
        var walks = (List<AddressWalk>)[first, .. first.Others()];
        foreach (var walk in walks)
        {
            walk.Facts.Call = called?.Invoke(walk);
            scenario.Complete(walk);
        }
        return AddressWalk.Worst(walks);
    }
}
