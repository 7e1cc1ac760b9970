using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.VirtualResources;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>The parts around the registry, composed in <see cref="Composition"/>.</summary>
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
