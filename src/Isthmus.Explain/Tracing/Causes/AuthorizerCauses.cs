using Isthmus.Core.Problems;
using Isthmus.Core.Time;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Which external authorizer denied a call, and what of the request it got to decide by; or why it did not answer in time.</summary>
internal sealed class AuthorizerCauses(TraceFacts facts)
{
    /// <param name="path">The path that the authorizer's own follows; empty when that is not known.</param>
    /// <returns>Null: no authorizer denied it, or failed to answer in time, or it is not known which.</returns>
    public Problem? Find(MadeCall call, string path) => AskedAuthorizer.Of(facts) is not { } asked ? null
        : asked.HasDenied ? Denied(asked, call, path) : Late(asked);

    private Problem Denied(AskedAuthorizer asked, MadeCall call, string path)
    {
        var (policy, provider, name) = (asked.Policy, asked.Provider, asked.Provider.Name);
        var where = $"{TraceFacts.MeshField("extensionProviders")} of {facts.MeshConfigOf(asked.Cluster)}";
        var unseen = facts.Sent.Headers.Select(header => header.Name).Where(header => !asked.Gets(header)).Distinct().ToList();
        var gets = unseen.Count > 0 ? $"; it does not get {string.Join(", ", unseen)} of the request, because includeRequestHeadersInCheck does not have "
            + $"{(unseen.Count == 1 ? "it" : "them")}" : "";
        // Servers answer so to paths that they do not know, and this one is asked for another path than the application.
        var isMisled = call.Status == 404 && provider is { IsGrpc: false, PathPrefix.Length: > 0 };
        var misled = isMisled ? $"; it was asked for {(path.Length > 0 ? $"{provider.PathPrefix}{path}" : "another path than the application")}, because "
            + $"pathPrefix is {provider.PathPrefix}, and 404 often means that a server does not know the path" : "";
        return Faults.Of("ISM2094", $"AuthorizationPolicy {policy.Namespace}/{policy.Name} in {facts.ConfigOf(asked.Cluster).Context}", "spec.provider.name",
            $"leaves the decision to {asked.Name}, which denies the call at {asked.Seen.Proxy} with {call.Status} ({AskedAuthorizer.Denied}){misled}{gets}",
            isMisled ? $"if the authorizer has no such path, correct or remove pathPrefix of {name}, in {where}; otherwise see its log"
            : unseen.Count > 0 ? $"add {string.Join(", ", unseen)} to includeRequestHeadersInCheck of {name}, in {where}, if it decides by that; otherwise see "
                + "its log"
            : "see the log of the authorizer; " + (provider.IsGrpc ? "it gets the whole request"
                : "it gets the headers that includeRequestHeadersInCheck has, and no others but Host and Authorization"));
    }

    /// <summary>The proxy waited for as long as it may; null when it knew sooner that there would be no answer.</summary>
    private Problem? Late(AskedAuthorizer asked) => asked.Seen.Milliseconds < asked.Provider.Timeout.TotalMilliseconds ? null
        : Faults.Of("ISM2094", facts.MeshConfigOf(asked.Cluster), TraceFacts.MeshField($"extensionProviders[{asked.Provider.Name}].timeout"),
            $"is {Durations.Text(asked.Provider.Timeout)}, and {asked.Name} had not answered the check of {asked.Seen.Proxy} by then "
                + $"({AskedAuthorizer.Failed})",
            "raise it, or find out why the authorizer is slow");
}
