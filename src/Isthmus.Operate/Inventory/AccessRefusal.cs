using System.Text.RegularExpressions;

namespace Isthmus.Operate.Inventory;

/// <summary>What helps a user whom an API server refuses: it runs, so that nothing is to be started.</summary>
public static partial class AccessRefusal
{
    /// <param name="context">The context of the kubeconfig.</param>
    /// <param name="status">With which the API server answered; 0: it did not.</param>
    /// <param name="message">What it said.</param>
    /// <returns>Null when it did not refuse the user.</returns>
    public static string? Remedy(string context, int status, string message)
    {
        if (status == 401)
            return $"renew the credentials of the user of context {context} in the kubeconfig, or use another user ('kubectl --context={context} auth whoami' "
                + "asks the same)";
        if (status != 403) return null;
        if (Refused().Match(message) is not { Success: true } said)
            return $"use a user who may read the objects of all namespaces; 'kubectl --context={context} auth can-i --list' tells what this one may do";
        var (verb, resource, group) = (said.Groups["verb"].Value, said.Groups["resource"].Value, said.Groups["group"].Value);
        var ns = said.Groups["namespace"].Value;
        var what = group.Length > 0 ? $"{resource}.{group}" : resource;
        return $"use a user who may {verb} {what} in {(ns.Length > 0 ? $"namespace {ns}" : "the whole cluster")}, or give {said.Groups["user"].Value} this "
            + $"right, and whichever else it lacks: 'kubectl --context={context} auth can-i {verb} {what} {(ns.Length > 0 ? $"-n {ns}" : "-A")}' asks for it, "
            + "'auth can-i --list' for all";
    }

    [GeneratedRegex("""User "(?<user>[^"]*)" cannot (?<verb>\w+) resource "(?<resource>[^"]+)" in API group "(?<group>[^"]*)"(?: in the namespace "(?<namespace>[^"]+)")?""")]
    private static partial Regex Refused();
}
