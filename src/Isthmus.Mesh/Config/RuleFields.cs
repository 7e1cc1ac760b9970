using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

/// <summary>The fields of an AuthorizationPolicy's source and operation, with the keys of the terms that they become: the one of values, and the one of
/// values that must not be. In the order of the filters built from them.</summary>
public static class RuleFields
{
    /// <summary>Below <c>from[].source</c>.</summary>
    public static IReadOnlyList<(string Key, string Values, string NotValues)> Source { get; } =
    [
        (RuleKeys.Principal, "principals", "notPrincipals"), (RuleKeys.RequestPrincipal, "requestPrincipals", "notRequestPrincipals"),
        (RuleKeys.TrustDomain, "trustDomains", "notTrustDomains"), (RuleKeys.ServiceAccount, "serviceAccounts", "notServiceAccounts"),
        (RuleKeys.Namespace, "namespaces", "notNamespaces"), (RuleKeys.RemoteIp, "remoteIpBlocks", "notRemoteIpBlocks"),
        (RuleKeys.SourceIp, "ipBlocks", "notIpBlocks"),
    ];

    /// <summary>Below <c>to[].operation</c>.</summary>
    public static IReadOnlyList<(string Key, string Values, string NotValues)> Operation { get; } =
    [
        (RuleKeys.Host, "hosts", "notHosts"), (RuleKeys.Method, "methods", "notMethods"), (RuleKeys.Path, "paths", "notPaths"),
        (RuleKeys.DestinationPort, "ports", "notPorts"),
    ];
}
