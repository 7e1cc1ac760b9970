using System.Text.Json.Nodes;
using Isthmus.Graph.History;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Webhooks;

/// <summary>Nobody puts another's name into the history.</summary>
public sealed class AdmittedWritesTests
{
    private static readonly JsonObject Route = JsonNode.Parse("""{"metadata": {"uid": "u", "generation": 2}, "spec": {"hosts": ["a"]}}""")!.AsObject();

    private readonly AdmittedWrites _writes = new();

    [Theory]
    [InlineData("alice:false", "alice", false)]
    [InlineData("alice:false alice:false", "alice", false)]
    [InlineData("alice:false mallory:false", "", false)]
    [InlineData("mallory:false alice:true", "alice", true)]
    [InlineData("alice:true mallory:false", "alice", true)]
    [InlineData("alice:true alice:false", "alice", true)]
    [InlineData("alice:false mallory:false mallory:false", "", false)]
    [InlineData("alice:false mallory:false alice:true", "alice", true)]
    public void A_proven_user_counts_and_of_several_others_none(string reviews, string name, bool isProven)
    {
        foreach (var review in reviews.Split(' ')) _writes.Add(Route, new(review.Split(':')[0], review.EndsWith("true", StringComparison.Ordinal)));
        Assert.Equal(new Writer(name, isProven), _writes.UserOf(ObjectWrite.Of(Route)!));
    }
}
