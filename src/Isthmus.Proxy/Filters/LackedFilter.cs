using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Filters;

/// <summary>A filter that this proxy does not have. Who may call could depend on it, so that nobody may.</summary>
internal sealed class LackedFilter(string name) : RequestFilter(name)
{
    private static readonly byte[] Text = "this proxy lacks a filter that has to decide about the request"u8.ToArray();

    public override FilterSteps Steps => FilterSteps.Request;

    public override ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request) => new(request.Refuse(Lacking(Name)));

    /// <summary>What a client gets where the proxy lacks a filter that could refuse the request, or its configuration.</summary>
    public static Refusal Lacking(string filter) => new(403, Text, UnsupportedFilter.DetailsOf(filter), EndReason.DeniedByPolicy);
}
