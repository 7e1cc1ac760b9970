using Isthmus.ControlPlane.GatewayApi;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>When statuses are written.</summary>
public sealed class StatusQueueTests
{
    private static readonly DateTimeOffset Start = new(2026, 11, 27, 12, 0, 0, TimeSpan.Zero);
    private static readonly ObjectRef Source = new("c1", "Gateway", "shop", "front");

    private readonly StatusQueue _queue = new();

    [Fact]
    public void A_change_that_stands_alone_is_due_at_once_and_what_follows_waits_for_quiet()
    {
        Put(Status(1), Start);
        Assert.Equal([Status(1)], _queue.Take(Start));
        // A thousand routes attach within four seconds: one more write, once it is quiet.
        for (var i = 2; i <= 1001; i++)
        {
            Put(Status(i), Start.AddMilliseconds(4 * i));
            Assert.Empty(_queue.Take(Start.AddMilliseconds(4 * i)));
        }
        Assert.Equal(Start.AddMilliseconds(4004) + StatusQueue.Quiet, _queue.Next);
        Assert.Equal([Status(1001)], _queue.Take(_queue.Next!.Value));
        Assert.Null(_queue.Next);
    }

    [Fact]
    public void Nothing_waits_for_quiet_forever()
    {
        Put(Status(1), Start);
        _queue.Take(Start);
        var now = Start;
        for (var i = 2; _queue.Take(now).Count == 0; i++)
        {
            now = Start.AddMilliseconds(100 * i);
            Put(Status(i), now);
        }
        Assert.InRange(now - Start, StatusQueue.Longest, StatusQueue.Longest + TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void What_was_written_is_not_due_again_unless_it_could_not_be_written()
    {
        Put(Status(1), Start);
        var status = Assert.Single(_queue.Take(Start));
        Put(Status(1), Start.AddHours(1));
        Assert.Null(_queue.Next);
        _queue.Return(status, Start.AddHours(1));
        Assert.Equal([Status(1)], _queue.Take(Start.AddHours(1) + StatusQueue.Retry));
        Put(Status(2), Start.AddHours(2));
        _queue.Take(Start.AddHours(2));
        _queue.Return(status, Start.AddHours(2));
        Assert.Null(_queue.Next);
        _queue.Remove(Source);
        _queue.Return(Status(2), Start.AddHours(2));
        Assert.Null(_queue.Next);
    }

    /// <summary>A thousand routes attach while others are written.</summary>
    [Fact]
    public void Changes_that_nobody_looked_at_meanwhile_stand_not_alone()
    {
        Put(Status(1), Start);
        _queue.Take(Start);
        _queue.Put(Status(1000), Start.AddSeconds(1), Start.AddSeconds(3));
        Assert.Empty(_queue.Take(Start.AddSeconds(3)));
        Assert.Equal([Status(1000)], _queue.Take(Start.AddSeconds(3) + StatusQueue.Quiet));
        Put(Status(1001), Start.AddSeconds(9));
        Assert.Equal([Status(1001)], _queue.Take(Start.AddSeconds(9)));
    }

    private void Put(ApiStatus status, DateTimeOffset at) => _queue.Put(status, at, at);

    private static ApiStatus Status(int routes) => new GatewayStatus(Source, 1, default, [new("http", 0, default, routes, default)], default, 0);
}
