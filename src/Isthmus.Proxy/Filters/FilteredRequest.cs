using System.Diagnostics.CodeAnalysis;
using System.Text;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tokens;

namespace Isthmus.Proxy.Filters;

/// <summary>What filters keep of a request from one step to another.</summary>
internal interface IFilterState
{
    /// <summary>The request is over.</summary>
    void Clear();
}

/// <summary>What the filters of all requests share.</summary>
internal sealed record FilterPorts(
    TimeProvider Time, Random Random, AccessCounts Counts, ProxyIdentity Identity, KeySource Keys,
    Func<ExternalCheck, CheckedCall, ValueTask<ExternalAnswer>> Authorizers, FilterPorts.AskLimits Limits)
{
    /// <summary>What peers are told of this proxy, as fields have it; empty: nothing.</summary>
    public byte[] PeerMetadata { get; } = Encoding.UTF8.GetBytes(Identity.PeerMetadata);

    public byte[] NodeId { get; } = Encoding.UTF8.GetBytes(Identity.NodeId);

    public delegate ValueTask<LimitAnswer> AskLimits(GlobalLimit limit, string domain, IEnumerable<IReadOnlyList<LimitEntry>> descriptors);
}

/// <summary>A request as filters see it, and what they may do about it. One after another uses the same object.</summary>
internal abstract class FilteredRequest
{
    private List<IFilterState>? _states;

    public abstract FilterPorts Ports { get; }

    public abstract RequestHead Head { get; }

    public abstract ResponseHead Response { get; }

    public abstract TrafficRecord Record { get; }

    public abstract string Scheme { get; }

    /// <summary>Of the listener.</summary>
    public abstract Direction Direction { get; }

    /// <summary>Stands for the connection.</summary>
    public abstract object Connection { get; }

    /// <summary>The identity of this proxy's certificate, which the client was shown; empty: there is none.</summary>
    public abstract string OwnIdentity { get; }

    /// <summary>What policies ask of the request.</summary>
    public abstract PolicyFacts Facts { get; }

    /// <summary>What filters learned about the request; null for nothing.</summary>
    public abstract RequestMetadata? Metadata { get; set; }

    /// <summary>The cluster that the route leads to; empty when it leads to none.</summary>
    public abstract string Cluster { get; }

    /// <summary>The body, as far as it was read; null when nothing was.</summary>
    public abstract ReadOnlyMemory<byte>? Body { get; }

    /// <summary>More of the body follows.</summary>
    public abstract bool IsBodyStreaming { get; }

    /// <summary>The host that the request is to go to.</summary>
    public HostWish Wish { get; set; }

    /// <summary>The settings of the route, whose name logs have from now on; null: there is no route.</summary>
    public abstract RouteSettings? TakeRoute();

    /// <summary>The same without a trace in logs.</summary>
    public abstract RouteSettings? PeekRoute();

    /// <summary>As <see cref="PeekRoute"/>, and also for a route that only redirects to https.</summary>
    public abstract RouteSettings? PeekAnyRoute();

    /// <summary>What that cluster of several says to a filter to which the request goes; null for nothing.</summary>
    public abstract IRouteOverride? OfShare(string filter);

    /// <summary>The route is chosen again.</summary>
    public abstract void ForgetRoute();

    /// <summary>Edits the fields of the request, and forgets what follows from them, such as the address of the client.</summary>
    public abstract void Edit(HeaderEdits edits);

    public abstract void EditResponse(HeaderEdits edits);

    /// <summary>Adds fields to whatever response the client gets.</summary>
    public abstract void TellClient(IReadOnlyList<HeaderEdit> fields);

    /// <summary>Counts the messages of the request and of its answer.</summary>
    public abstract void CountMessages();

    /// <summary>Reads until so many bytes of the body have arrived, or all.</summary>
    public abstract ValueTask ReadAheadAsync(long bytes);

    /// <summary>The answer of a filter that refuses the request.</summary>
    public abstract FilterAnswer Refuse(Refusal refusal);

    /// <summary>What filters of a kind keep of the request.</summary>
    public T State<T>() where T : class, IFilterState, new()
    {
        if (TryState<T>(out var known)) return known;
        var made = new T();
        (_states ??= new(1)).Add(made);
        return made;
    }

    /// <returns>False: they keep nothing.</returns>
    public bool TryState<T>([NotNullWhen(true)] out T? state) where T : class, IFilterState
    {
        for (var i = 0; _states is not null && i < _states.Count; i++)
        {
            if (_states[i] is not T known) continue;
            state = known;
            return true;
        }
        state = null;
        return false;
    }

    protected void ClearStates()
    {
        Wish = default;
        for (var i = 0; _states is not null && i < _states.Count; i++) _states[i].Clear();
    }
}
