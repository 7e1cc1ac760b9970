using Isthmus.ControlPlane.GatewayApi;
using Isthmus.Core.Live;
using Isthmus.Core.Tasks;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>Which statuses have changed since the last look.</summary>
public sealed class StatusFeedTests
{
    private static readonly ObjectRef Route = new("c1", "HTTPRoute", "shop", "r1");

    private readonly LiveGraph _graph = new();
    private readonly Source<ObjectRef, ApiStatus> _statuses;
    private readonly StatusFeed _feed;

    public StatusFeedTests()
    {
        _statuses = new(_graph, "statuses");
        Put(1);
        _feed = new(_graph, _statuses, new Signal(), TimeProvider.System);
    }

    /// <summary>Its status is the same as before, and it has none yet.</summary>
    [Fact]
    public void An_object_that_was_made_anew_between_two_looks_is_told_from_one_that_stayed()
    {
        Assert.False(Next()!.WasGone);
        Remove();
        Put(1);
        Assert.True(Next() is { WasGone: true, Status.Generation.Number: 1 });
        Remove();
        Put(1);
        Put(2);
        Assert.True(Next() is { WasGone: true, Status.Generation.Number: 2 });
        Put(3);
        Assert.True(Next() is { WasGone: false, Status.Generation.Number: 3 });
        Remove();
        Assert.Null(Next()!.Status);
        Assert.Null(Next());
    }

    private ChangedStatus? Next() => _feed.Changes().GetValueOrDefault(Route);

    private void Put(long generation)
    {
        _statuses.Put(Route, new RouteStatus(Route, generation, default));
        _graph.Commit();
    }

    private void Remove()
    {
        _statuses.Remove(Route);
        _graph.Commit();
    }
}
