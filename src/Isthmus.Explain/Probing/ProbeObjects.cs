using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;

namespace Isthmus.Explain.Probing;

/// <summary>The objects of a probe in one cluster: a namespace of its own, a Job whose Pod calls and is called, and a Service for the Pod of
/// each cluster. Pure.</summary>
/// <param name="ns">The namespace, which has the same name in all clusters.</param>
/// <param name="own">The number of the cluster.</param>
internal sealed class ProbeObjects(string ns, int own)
{
    public const string Label = WellKnown.OwnDomain + "/probe", Owner = WellKnown.OwnDomain + "/probe-owner", Until = WellKnown.OwnDomain + "/probe-until";
    public const int Http = 8080, Grpc = 8081, Tcp = 9000;

    /// <summary>How long Pods may live when nobody removes them.</summary>
    private const int Deadline = 120, AfterEnd = 10;

    public static string ServiceOf(int cluster) => string.Create(CultureInfo.InvariantCulture, $"callee-{cluster}");

    /// <summary>Each cluster's Pod has an account of its own, so that callees tell callers apart.</summary>
    public static string AccountOf(int cluster) => string.Create(CultureInfo.InvariantCulture, $"prober-{cluster}");

    /// <param name="revision">The revision of the control plane that injects the Pods; <c>default</c> for the default one.</param>
    public JsonObject Namespace(string revision, string owner, DateTimeOffset until) => new()
    {
        ["apiVersion"] = "v1", ["kind"] = "Namespace",
        ["metadata"] = new JsonObject
        {
            ["name"] = ns,
            ["labels"] = new JsonObject
            {
                [Label] = "true", [revision == "default" ? Labels.Injection : Labels.Revision] = revision == "default" ? "enabled" : revision
            },
            ["annotations"] = new JsonObject { [Owner] = owner, [Until] = until.ToString("O", CultureInfo.InvariantCulture) },
        },
    };

    public JsonObject Account => new() { ["apiVersion"] = "v1", ["kind"] = "ServiceAccount", ["metadata"] = Meta(AccountOf(own)) };

    public JsonObject Service(int cluster) => new()
    {
        ["apiVersion"] = "v1", ["kind"] = "Service", ["metadata"] = Meta(ServiceOf(cluster)),
        ["spec"] = new JsonObject
        {
            ["selector"] = new JsonObject { ["app"] = ServiceOf(cluster) },
            ["ports"] = new JsonArray(Port("http", Http), Port("grpc", Grpc), Port("tcp", Tcp)),
        },
    };

    public JsonObject Job(string image) => new()
    {
        ["apiVersion"] = "batch/v1", ["kind"] = "Job", ["metadata"] = Meta(ServiceOf(own)),
        ["spec"] = new JsonObject
        {
            ["activeDeadlineSeconds"] = Deadline, ["ttlSecondsAfterFinished"] = AfterEnd, ["backoffLimit"] = 0,
            ["template"] = new JsonObject
            {
                ["metadata"] = new JsonObject { ["labels"] = new JsonObject { ["app"] = ServiceOf(own) } },
                ["spec"] = new JsonObject
                {
                    ["serviceAccountName"] = AccountOf(own), ["restartPolicy"] = "Never", ["terminationGracePeriodSeconds"] = 1,
                    ["containers"] = new JsonArray(new JsonObject
                    {
                        ["name"] = "probe", ["image"] = image, ["imagePullPolicy"] = "IfNotPresent", ["command"] = new JsonArray("isthmus", "probe"),
                        ["ports"] = new JsonArray(ContainerPort(Http), ContainerPort(Grpc), ContainerPort(Tcp)),
                        ["resources"] = new JsonObject { ["requests"] = new JsonObject { ["cpu"] = "10m", ["memory"] = "40Mi" } },
                        ["securityContext"] = new JsonObject
                        {
                            ["runAsNonRoot"] = true, ["runAsUser"] = 1000, ["allowPrivilegeEscalation"] = false, ["readOnlyRootFilesystem"] = true,
                            ["capabilities"] = new JsonObject { ["drop"] = new JsonArray("ALL") },
                            ["seccompProfile"] = new JsonObject { ["type"] = "RuntimeDefault" },
                        },
                    }),
                },
            },
        },
    };

    private JsonObject Meta(string name) => new() { ["name"] = name, ["namespace"] = ns, ["labels"] = new JsonObject { [Label] = "true" } };

    private static JsonObject Port(string name, int number) => new() { ["name"] = name, ["port"] = number, ["targetPort"] = number };

    private static JsonObject ContainerPort(int number) => new() { ["containerPort"] = number };
}
