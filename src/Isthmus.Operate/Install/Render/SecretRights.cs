using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.Rbac;

namespace Isthmus.Operate.Install.Render;

/// <summary>
/// Permission to read the Secrets of gateways: in all namespaces, or only in those that <c>ISTHMUS_SECRET_NAMESPACES</c> of the control plane
/// names. The same variable narrows what the control plane watches.
/// </summary>
internal static class SecretRights
{
    private const string Secrets = "secrets", Read = "get list watch";

    /// <summary>For the control plane of the cluster itself.</summary>
    internal static JsonObject[] ClusterRules(OperatorSpec spec) => Namespaces(spec).Length == 0 ? [Rule("core", Secrets, Read)] : [];

    /// <summary>For control planes of other clusters: only if they are to read Secrets here.</summary>
    internal static JsonObject[] ReaderRules(OperatorSpec spec) => OthersMayRead(spec) ? ClusterRules(spec) : [];

    /// <summary>A Role in each of the namespaces that are named, and its binding. The control plane's own namespace needs none.</summary>
    internal static IEnumerable<JsonObject> Of(OperatorSpec spec, string account, Func<JsonObject> labels) =>
        Namespaces(spec).Where(ns => ns != spec.Namespace).SelectMany(ns => Bound(spec, ns, account, new(account, spec.Namespace, IsOwn: true), labels));

    /// <inheritdoc cref="Of"/>
    internal static IEnumerable<JsonObject> OfReader(OperatorSpec spec, string name, Func<JsonObject> labels) =>
        OthersMayRead(spec) ? Namespaces(spec).SelectMany(ns => Bound(spec, ns, name, ReaderAccount.Of(spec, spec.Namespace), labels)) : [];

    private static IEnumerable<JsonObject> Bound(OperatorSpec spec, string ns, string name, ReaderAccount account, Func<JsonObject> labels)
    {
        var role = $"{name}-secrets-{spec.Namespace}";
        yield return Role(role, ns, labels(), Rule("core", Secrets, Read));
        yield return RoleBinding(role, ns, labels(), account.Name, account.Namespace);
    }

    private static bool OthersMayRead(OperatorSpec spec) => spec.Value("pilot", "env", WellKnown.RemoteCredentials)?.ToString() == "true";

    private static string[] Namespaces(OperatorSpec spec) =>
        [.. (spec.Value("pilot", "env", WellKnown.SecretNamespaces)?.ToString() ?? "")
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Distinct()];
}
