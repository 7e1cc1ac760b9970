using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.History;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Intake;

/// <summary>Secrets: certificates of gateways, and the credentials with which the modules of WasmPlugins are pulled.</summary>
/// <param name="ns">The namespace in which they are read; null: all.</param>
public sealed class CredentialKind(string? ns = null) : SourceKind<Secret, TlsCredential>(MeshApi.Secret)
{
    public override string? Namespace => ns;

    /// <summary>Those that clusters have many of, and that hold no certificate of a gateway.</summary>
    public override string FieldSelector => "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token";

    internal override void Collect(MeshGraph mesh, MeshChanges changes)
    {
        var changed = mesh.Sources.Credentials.Changed;
        changes.Proxies.Places.UnionWith(changed.Select(key => (key.Cluster, key.Namespace)));
        CollectReferring(mesh, changes, changed);
        // A WasmPlugin of the root namespace, with a Secret there, is for any proxy.
        if (changed.Count > 0
            && mesh.Sources.WasmPlugins.Items.Values.Any(plugin => plugin.Module.PullSecret.Length > 0
                && changed.Any(key => key.Namespace == plugin.Source.Namespace && key.Name == plugin.Module.PullSecret)))
            CollectPolicies(mesh, changes, changed.Select(key => key.Namespace).ToHashSet(StringComparer.Ordinal));
    }

    /// <summary>Gateways of other namespaces may refer to them.</summary>
    internal static void CollectReferring(MeshGraph mesh, MeshChanges changes, IReadOnlySet<ObjectKey> changed)
    {
        if (changed.Count == 0) return;
        var names = changed.Select(key => new ObjectName(key.Namespace, key.Name)).ToHashSet();
        foreach (var gateway in mesh.GatewayApi.Gateways.Items.Values)
        {
            if (!gateway.Servers.Select(server => server.Tls).OfType<ServerTls>().SelectMany(tls => tls.Credentials.Concat(tls.ClientCas))
                .Concat(gateway.BackendCredential is { } own ? [own] : []).Any(item => names.Contains(new(item.Namespace, item.Name))))
                continue;
            changes.Proxies.Places.UnionWith(changed.Select(key => (key.Cluster, gateway.PodNamespace)));
        }
    }

    internal override TlsCredential? Read(string cluster, Secret item) => KubeFacts.Of(cluster, item);

    internal override ObjectRef SourceOf(TlsCredential facts) => facts.Source;

    internal override Source<ObjectKey, TlsCredential> SourceIn(MeshSources sources) => sources.Credentials;

    internal override Reach ReachOf(TlsCredential facts) => Reach.OfWorkloads(facts.Source.Namespace, default) with { IsAtGateways = true };
}
