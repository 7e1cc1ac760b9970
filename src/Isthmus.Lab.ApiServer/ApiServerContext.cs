using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.VirtualResources;

namespace Isthmus.Lab.ApiServer;

/// <summary>Given at start. Directory holds pki/, state.db and node.sock.</summary>
/// <param name="Cluster">Name of the cluster.</param>
/// <param name="Address">IPv4 address of this server that others use.</param>
public sealed record ApiServerSettings(string Cluster, string Directory, string Address)
{
    public int Port { get; init; } = 6443;

    public string ServiceRange { get; init; } = "10.96.0.0/16";

    public string PodRange { get; init; } = "10.244.0.0/16";

    public string Issuer { get; init; } = "https://kubernetes.default.svc.cluster.local";

    /// <summary>A write is on disk before it is acknowledged, not only safe from a crash of this process.</summary>
    public bool SurvivePowerLoss { get; init; }

    /// <summary>Without TLS: for tests on a loopback address only.</summary>
    public bool PlainHttp { get; init; }

    public string PkiPath(string file) => Path.Combine(Directory, "pki", file);
}

/// <summary>What the parts of one API server share.</summary>
public sealed record ApiServerContext(ApiServerSettings Settings, KindRegistry Kinds, IObjectStore Store, TimeProvider Time, Random Random);

/// <summary>A loop that runs as long as the server does; its failure ends the server.</summary>
public interface IServerTask
{
    Task RunAsync(CancellationToken stop);
}

/// <summary>Everything around the registry that other parts bring: put together once in <see cref="Composition"/>.</summary>
public sealed record ApiServerParts(
    IAuthenticator Authenticator,
    IAuthorizer Authorizer,
    IReadOnlyList<IAdmissionPlugin> Admission,
    IReadOnlyList<IVirtualResource> Virtual,
    IReadOnlyList<IStreamingResource> Streaming,
    IReadOnlyList<IServerTask> Tasks)
{
    /// <summary>Documents served at fixed paths besides the API, with their media types.</summary>
    public IReadOnlyDictionary<string, (string MediaType, JsonObject Body)> Documents { get; init; } =
        new Dictionary<string, (string, JsonObject)>();
}
