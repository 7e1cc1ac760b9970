using System.Text.Json.Nodes;
using Isthmus.Graph.Intake;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>A cluster with objects of the Gateway API, as watches deliver them, and what follows from these.</summary>
internal sealed class GatewayApiRig
{
    public GatewayApiRig(string yaml = "")
    {
        Apply(yaml);
    }

    public MeshRig Mesh { get; } = new("c1");

    /// <summary>Stages the objects, and commits them.</summary>
    public GatewayApiRig Apply(string yaml)
    {
        foreach (var document in YamlText.ParseAll(yaml, "test").OfType<JsonObject>()) Stage(document);
        Mesh.Push();
        return this;
    }

    /// <summary>A Secret with a certificate and its key.</summary>
    public GatewayApiRig Certificate(string ns, string name, string host = "*.example.com")
    {
        var (certificate, key) = TestCa.SelfSignedPair(host);
        return Apply($$"""
            {apiVersion: v1, kind: Secret, metadata: {name: {{name}}, namespace: {{ns}}}, type: kubernetes.io/tls, data: {tls.crt: "{{Base64(certificate)}}", tls.key: "{{Base64(key)}}"} }
            """);
    }

    public void Remove(KindDescriptor kind, string ns, string name)
    {
        Mesh.Writer.Remove(Mesh.Writer.Kinds.All.First(known => known.Descriptor.ToString() == kind.ToString()), new("c1", ns, name));
        Mesh.Push();
    }

    /// <summary>The status of a Gateway; null: it is not served.</summary>
    public GatewayStatus? Gateway(string name, string ns = "infra") =>
        Mesh.Mesh.GatewayApi.GatewayStatuses.Items.GetValueOrDefault(new("c1", MeshApi.ApiGateway.Name, ns, name));

    public ListenerSetStatus? Set(string name, string ns = "infra") =>
        Mesh.Mesh.GatewayApi.ListenerSetStatuses.Items.GetValueOrDefault(new("c1", MeshApi.ListenerSet.Name, ns, name));

    public AttachedRoute Route(string name, string ns = "infra", KindDescriptor? kind = null) =>
        Mesh.Mesh.GatewayApi.Attached.Items[new("c1", (kind ?? MeshApi.HttpRoute).Name, ns, name)];

    /// <summary>The conditions of a listener that are not as they should be, as <c>Type=Reason</c>;
    /// those that say that nothing is wrong are left out.</summary>
    public static string Wrong(IEnumerable<ListenerStatus> listeners, string name) =>
        string.Join(' ', listeners.Single(listener => listener.Name == name).Conditions
        .Where(condition => condition.Status != (condition.Type != "Conflicted")).Select(condition => $"{condition.Type}={condition.Reason}"));

    /// <summary>The hosts that each listener takes of a route, or why none does.</summary>
    public string Attached(string name, string ns = "infra", KindDescriptor? kind = null) =>
        string.Join("; ", Route(name, ns, kind).Parents.Select(parent => parent.Listeners.IsEmpty
        ? parent.Accepted.Reason : string.Join(' ', parent.Listeners.Select(listener => $"{listener.Name}: {string.Join(',', listener.Hostnames)}"))));

    private void Stage(JsonObject item)
    {
        var (version, name) = (item["apiVersion"]!.ToString(), item["kind"]!.ToString());
        var group = version.Contains('/', StringComparison.Ordinal) ? version.Split('/')[0] : "";
        foreach (var kind in Mesh.Writer.Kinds.All.Where(kind => kind.Resource.Kind == name && kind.Resource.Group == group))
            kind.StageTree(Mesh.Writer, "c1", item);
    }

    private static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(text));
}
