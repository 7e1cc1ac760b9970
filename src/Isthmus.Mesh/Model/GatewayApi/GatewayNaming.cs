using System.Security.Cryptography;
using System.Text;

namespace Isthmus.Mesh.Model.GatewayApi;

/// <summary>
/// The names of what runs a Gateway. A Gateway may have a name of 253 characters with dots, a Service or the value of a label may not: such a name is cut,
/// and ends in a hash of the whole one.
/// </summary>
public static class GatewayNaming
{
    /// <summary>On all that is made for a Gateway, and on its Pods: its name, and that of its class.</summary>
    public const string GatewayLabel = WorkloadSelector.GatewayLabel, ClassLabel = "gateway.networking.k8s.io/gateway-class-name";

    /// <summary>On a Gateway: the name of its Service and Deployment, and that of its account.</summary>
    public const string NameOverride = "gateway.istio.io/name-override", AccountOverride = "gateway.istio.io/service-account";

    private const int Longest = 63, Hash = 8;

    /// <summary>The value of <see cref="GatewayLabel"/>.</summary>
    public static string LabelOf(string gateway) => gateway.Length <= Longest ? gateway : Cut(gateway, gateway);

    /// <summary>The name of its Service and Deployment.</summary>
    /// <param name="gateway">A Gateway that is deployed.</param>
    /// <param name="withClass">Whether the class is a part of it.</param>
    public static string ServiceOf(ApiGateway gateway, bool withClass) =>
        gateway.Annotations.GetValueOrDefault(NameOverride) is { Length: > 0 } own ? own : DefaultOf(gateway, withClass);

    public static string AccountOf(ApiGateway gateway, bool withClass) =>
        gateway.Annotations.GetValueOrDefault(AccountOverride) is { Length: > 0 } own ? own : DefaultOf(gateway, withClass);

    /// <summary>
    /// The Service that the Gateway is bound to, if it names one (<c>spec.addresses</c>, type <c>Hostname</c>): <c>name</c>, <c>name.namespace</c>, or the
    /// whole host. Null: it names none.
    /// </summary>
    /// <returns>The namespace and the name; with an empty name, a host that is no Service.</returns>
    public static (string Namespace, string Name)? BoundService(ApiGateway gateway)
    {
        if (gateway.Addresses is not [{ Type: "Hostname", Value: { Length: > 0 } host }]) return null;
        return host.TrimEnd('.').Split('.') switch
        {
            [var name] => (gateway.Namespace, name),
            [var name, var ns] => (ns, name),
            [var name, var ns, "svc", ..] => (ns, name),
            _ => ("", ""),
        };
    }

    /// <summary>Whether something is made for it: not for one that names a host, which is there already, or that asks for an address of a kind that nobody here
    /// has.</summary>
    public static bool IsDeployed(ApiGateway gateway) =>
        BoundService(gateway) is null && gateway.Addresses.All(address => address.Type == "IPAddress" || address is { Type: "Hostname", Value.Length: 0 });

    private static string DefaultOf(ApiGateway gateway, bool withClass)
    {
        var whole = withClass ? $"{gateway.Name}-{gateway.Class}" : gateway.Name;
        var label = whole.Replace('.', '-');
        // Services want a letter at the beginning.
        if (label.Length > 0 && char.IsAsciiDigit(label[0])) label = $"gw-{label}";
        return label == whole && label.Length <= Longest ? label : Cut(label, whole);
    }

    private static string Cut(string name, string whole)
    {
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(whole)))[..Hash];
        return $"{name[..Math.Min(name.Length, Longest - Hash - 1)].TrimEnd('-', '.', '_')}-{hash}";
    }
}
