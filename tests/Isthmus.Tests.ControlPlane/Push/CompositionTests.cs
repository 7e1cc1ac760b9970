using System.Collections.Concurrent;
using System.Diagnostics.Tracing;
using Isthmus.ControlPlane;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>The composition root makes every part and starts none: that is left to its run.</summary>
public sealed class CompositionTests
{
    [Fact]
    public async Task Building_a_control_plane_starts_no_task_timer_or_connection()
    {
        var clock = new CountingClock();
        var access = new ClusterAccess { Server = new Uri("https://127.0.0.1:1") };
        using var started = new StartListener();
        var controlPlane = Isthmus.ControlPlane.ControlPlane.Build(new DiscoverySettings { MonitoringPort = 0 },
            new(clock, new Random(1), access, new NoNames(), access));
        Assert.Empty(started.Seen);
        Assert.Equal(0, clock.Timers);

        // The listener does see what starts.
        var task = Task.Run(() => { }, TestContext.Current.CancellationToken);
        Assert.Equal(["TaskScheduled"], started.Seen);
        await task;
        await controlPlane.DisposeAsync();
    }

    [Fact]
    public void The_web_server_reads_and_watches_no_settings_files()
    {
        var settings = new DiscoverySettings();
        var builder = Listening.Builder(settings, new(() => null, settings, TimeProvider.System), new());
        Assert.Empty(((IConfigurationBuilder)builder.Configuration).Sources.OfType<FileConfigurationSource>());
    }

    /// <summary>Records what the thread that made it starts: tasks, sockets, requests and lookups. The runtime reports these on that thread.</summary>
    private sealed class StartListener : EventListener
    {
        private readonly int _thread = Environment.CurrentManagedThreadId;

        internal ConcurrentQueue<string> Seen { get; } = [];

        protected override void OnEventSourceCreated(EventSource eventSource)
        {
            const EventKeywords taskScheduling = (EventKeywords)3;
            if (eventSource.Name == "System.Threading.Tasks.TplEventSource") EnableEvents(eventSource, EventLevel.Informational, taskScheduling);
            if (eventSource.Name is "System.Net.Sockets" or "System.Net.Http" or "System.Net.NameResolution")
                EnableEvents(eventSource, EventLevel.Informational);
        }

        protected override void OnEventWritten(EventWrittenEventArgs eventData)
        {
            if (Environment.CurrentManagedThreadId != _thread) return;
            if (eventData.EventName is "TaskScheduled" or "ConnectStart" or "AcceptStart" or "RequestStart" or "ResolutionStart")
                Seen.Enqueue(eventData.EventName);
        }
    }

    private sealed class CountingClock : TimeProvider
    {
        internal int Timers { get; private set; }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Timers++;
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }

    private sealed class NoNames : INameClient
    {
        public Task<NameAnswer> AskAsync(string host, CancellationToken stop) => throw new InvalidOperationException("nothing may be asked");
    }
}
