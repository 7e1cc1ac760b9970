using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>Whose hosts and addresses are, as far as their names tell it, and what to say of an object that claims those of others. Pure.</summary>
public static class HostOwners
{
    /// <summary>The code of an address that is another's.</summary>
    public const string AddressCode = "ISM1440";

    /// <summary>The code of a host that is another's.</summary>
    public const string HostCode = "ISM1441";

    /// <summary>The code of a host that the owner does not let this namespace configure.</summary>
    public const string GrantCode = "ISM1442";

    /// <summary>Names of every namespace.</summary>
    public const string Everybody = "*";

    private const string KubeSuffix = $".svc.{WellKnown.DefaultDomainSuffix}", SetSuffix = $".svc.{MultiClusterSettings.Domain}";

    /// <summary>The name in the one form that names are compared in.</summary>
    public static string Plain(string host) => host.TrimEnd('.').ToLowerInvariant();

    /// <summary>
    /// The namespace that a name of Kubernetes is in; <see cref="Everybody"/> for a wildcard that covers names of several; empty for other names.
    /// </summary>
    public static string NamespaceOf(string host)
    {
        var name = Plain(host);
        foreach (var suffix in (ReadOnlySpan<string>)[KubeSuffix, SetSuffix])
        {
            if (name.StartsWith('*') && suffix.EndsWith(name[1..], StringComparison.Ordinal)) return Everybody;
            if (!name.EndsWith(suffix, StringComparison.Ordinal)) continue;
            var inner = name[..^suffix.Length];
            return inner[(inner.LastIndexOf('.') + 1)..];
        }
        return "";
    }

    /// <summary>The host of the Service that a name is, or would be as a short name (<c>NAME.NAMESPACE</c>, <c>NAME.NAMESPACE.svc</c>).</summary>
    public static string ServiceHost(string host)
    {
        var name = Plain(host);
        return name.Split('.') is [_, _] or [_, _, "svc"] ? $"{name}{(name.EndsWith(".svc", StringComparison.Ordinal) ? KubeSuffix[4..] : KubeSuffix)}" : name;
    }

    /// <summary>Whether objects of a namespace may define a host by the host's name alone: names of Kubernetes belong to their namespace.</summary>
    public static bool MayName(string ns, string host, string rootNamespace) =>
        NamespaceOf(host) is var owner && (owner.Length == 0 || owner == ns || ns == rootNamespace);

    /// <summary>Of a name that <see cref="MayName"/> refuses: whose it is.</summary>
    public static string WhoseName(string host) =>
        NamespaceOf(host) is var owner && owner == Everybody ? "covers names of all namespaces" : $"is a name of namespace {owner}";

    /// <summary>Whether objects of a namespace may configure a host that is somebody's: its own namespace, the root namespace, and those that it
    /// grants.</summary>
    public static bool MayConfigure(string ns, string owner, ValueList<string> grants, string rootNamespace) =>
        ns == owner || ns == rootNamespace || grants.Contains(ns) || grants.Contains(Everybody);

    /// <summary>The namespaces that the annotations of a Service or a Namespace let configure hosts.</summary>
    public static string[] Grants(Dictionary<string, string> annotations) =>
        annotations.GetValueOrDefault(Annotations.HostGrants, "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <param name="source">The VirtualService or DestinationRule.</param>
    /// <param name="path">Where it names the host.</param>
    /// <param name="host">The host, as it is written.</param>
    /// <param name="owner">The namespace of the host; <see cref="Everybody"/> for a wildcard that covers names of several.</param>
    public static Problem NotGranted(ObjectRef source, string path, string host, string owner) => owner == Everybody
        ? new(GrantCode, $"{source.Kind} {source.Namespace}/{source.Name}", path,
            $"{host} covers hosts of all namespaces: this applies only to those of {source.Namespace}, and of namespaces that grant it (hostOwnership is "
                + $"NAMESPACE)",
            $"name a host of your own, or let the owner of a host annotate it with {Annotations.HostGrants}: {source.Namespace}", Severity.Warning)
        : new(GrantCode, $"{source.Kind} {source.Namespace}/{source.Name}", path,
            $"{host} belongs to namespace {owner}, which does not let {source.Namespace} configure it: this has no effect on the host (hostOwnership is "
                + $"NAMESPACE)",
            $"move the object to {owner}, or annotate the Service or the namespace {owner} with {Annotations.HostGrants}: {source.Namespace}",
            Severity.Warning);

    /// <param name="owner">Whose it is, such as <c>Service shop/web in cluster1</c>.</param>
    public static Problem Address(ServiceEntry entry, int index, string owner) => new(
        AddressCode, Name(entry), $"spec.addresses[{index}]", $"{entry.Addresses[index]} is the address of {owner}: calls to it do not go to this entry",
        "remove the address, or choose one that nothing else has", Severity.Warning);

    /// <param name="owner">Whose it is.</param>
    public static Problem Host(ServiceEntry entry, int index, string owner) => new(
        HostCode, Name(entry), $"spec.hosts[{index}]", $"{entry.Hosts[index]} {owner}: this entry has no effect on it",
        "choose another host, or let the owner of the host define it", Severity.Warning);

    private static string Name(ServiceEntry entry) => $"ServiceEntry {entry.Namespace}/{entry.Name}";
}
