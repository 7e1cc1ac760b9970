using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.Rbac;

namespace Isthmus.Operate.Install.Render;

/// <summary>The service account that control planes of other clusters use here (chart <c>base</c>), with the minimum permissions for discovery.</summary>
public static class ReaderObjects
{
    private const string Reader = "istio-reader";
    private const string Read = KindRights.Read;

    /// <summary>Whether an object belongs to a named revision only. The account itself, and the permissions of the default revision, are part of the base and
    /// stay.</summary>
    public static bool IsOf(string revision, string name) =>
        name == $"{Reader}-{revision}" || name.StartsWith($"{Reader}-{revision}-secrets-", StringComparison.Ordinal)
            || name.StartsWith($"{Reader}-clusterrole-{revision}-", StringComparison.Ordinal);

    /// <summary>The account for a control plane of Istio in another cluster. It lists all Secrets and ConfigMaps, and waits half a minute for a cluster that
    /// does not let it.</summary>
    public static IEnumerable<JsonObject> ForIstio(string ns, Func<JsonObject> labels)
    {
        var role = $"{WellKnown.IstioReaderServiceAccount}-{ns}";
        yield return ServiceAccount(WellKnown.IstioReaderServiceAccount, ns, labels());
        yield return ClusterRole(role, labels(),
        [
            IstioRule(Read),
            Rule("core", "endpoints pods services nodes replicationcontrollers namespaces secrets configmaps", Read),
            Rule("core", "serviceaccounts", "get"),
            Rule("discovery.k8s.io", "endpointslices", Read),
            Rule("apps", "replicasets", Read),
            Rule("apiextensions.k8s.io", "customresourcedefinitions", Read),
            Rule("gateway.networking.k8s.io", "*", Read),
            Rule("multicluster.x-k8s.io", "serviceexports", "get list watch create delete"),
            Rule("multicluster.x-k8s.io", "serviceimports", Read),
            Rule("authentication.k8s.io", "tokenreviews", "create"),
            Rule("authorization.k8s.io", "subjectaccessreviews", "create"),
        ]);
        yield return ClusterRoleBinding(role, labels(), WellKnown.IstioReaderServiceAccount, ns);
    }

    /// <param name="revision">Empty for the default revision.</param>
    /// <param name="externalControlPlane">A control plane in another cluster also writes root certificates and patches webhooks here.</param>
    /// <param name="spec">Says whether control planes of other clusters read the Secrets of gateways here; null if they do not.</param>
    public static IEnumerable<JsonObject> Build(string ns, string revision, bool externalControlPlane, Func<JsonObject> labels, OperatorSpec? spec = null)
    {
        var role = revision.Length == 0 ? $"{Reader}-clusterrole-{ns}" : $"{Reader}-clusterrole-{revision}-{ns}";
        var account = ReaderAccount.Of(spec, ns);
        if (account.IsOwn) yield return ServiceAccount(account.Name, account.Namespace, labels());
        // Istio's role reads every Secret of the cluster. Discovery does not need them, so ours does only where it is asked to.
        JsonObject[] rules =
        [
            IstioRule(Read),
            .. spec is null ? [] : SecretRights.ReaderRules(spec),
            .. KindRules(kind => kind.Rights.Reader),
            Rule("authentication.k8s.io", "tokenreviews", "create"),
            Rule("authorization.k8s.io", "subjectaccessreviews", "create"),
        ];
        if (externalControlPlane)
        {
            rules =
            [
                .. rules,
                Rule("core", "configmaps", "create get list watch update patch"),
                Rule("coordination.k8s.io", "leases", "create get list watch update patch"),
                // The configuration of the mesh may be here.
                .. KindRules(kind => IsConfig(kind) ? kind.Rights.Own : "", kind => IsConfig(kind) ? kind.Rights.Status : ""),
                .. IstiodObjects.GatewayRules(),
                Rule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "get list watch update patch"),
                Rule("admissionregistration.k8s.io", "validatingwebhookconfigurations", "get list watch update patch"),
            ];
        }
        yield return ClusterRole(role, labels(), rules);
        yield return ClusterRoleBinding(role, labels(), account.Name, account.Namespace);
        // Other control planes compare roots, to report clusters that do not trust each other.
        var roots = Rule("core", "configmaps", "get");
        roots["resourceNames"] = new JsonArray(WellKnown.RootCertConfigMap);
        var name = revision.Length == 0 ? Reader : $"{Reader}-{revision}";
        // If its address is a host name, the control plane keeps the resolved addresses up to date.
        yield return externalControlPlane
            ? Role(name, ns, labels(), [roots, .. IstiodObjects.AddressRules])
            : Role(name, ns, labels(), roots);
        yield return RoleBinding(name, ns, labels(), account.Name, account.Namespace);
        if (spec is null) yield break;
        foreach (var right in SecretRights.OfReader(spec, name, labels)) yield return right;
    }

    private static bool IsConfig(KindDescriptor kind) => kind.Place == KindPlace.ConfigCluster;
}
