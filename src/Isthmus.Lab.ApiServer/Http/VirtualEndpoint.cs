using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Http.Output;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.VirtualResources;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>Resources without storage, and subresources that are handled by other parts.</summary>
internal sealed class VirtualEndpoint
{
    private readonly ApiServerContext _context;
    private readonly Dictionary<(string, string, string, string), (VirtualResourceDescriptor Descriptor, IVirtualResource? Virtual,
        IStreamingResource? Streaming)> _byPath = [];

    internal VirtualEndpoint(ApiServerContext context, ApiServerParts parts)
    {
        _context = context;
        foreach (var resource in parts.Virtual) _byPath[Key(resource.Descriptor)] = (resource.Descriptor, resource, null);
        foreach (var resource in parts.Streaming) _byPath[Key(resource.Descriptor)] = (resource.Descriptor, null, resource);
    }

    internal bool HasGroupVersion(string group, string version) => _byPath.Keys.Any(key => key.Item1 == group && key.Item2 == version);

    /// <returns>False when the path is not one of these resources.</returns>
    internal async Task<bool> TryHandleAsync(HttpContext http, RequestTarget target, RequestAttributes attributes)
    {
        if (!_byPath.TryGetValue((target.Group, target.Version, target.Resource, target.Subresource), out var found)) return false;
        var (descriptor, handler, streaming) = found;
        var isBare = descriptor.Subresource.Length == 0;
        if (isBare && target.Name.Length > 0 && !descriptor.Verbs.Contains("get")) throw ApiException.NoSuchResource();
        if (!descriptor.Verbs.Contains(attributes.Verb)) throw ApiException.MethodNotAllowed();
        if (streaming is not null)
        {
            await streaming.HandleAsync(http, attributes, Parent(target), http.RequestAborted);
            return true;
        }
        var warnings = new List<string>();
        var body = http.Request.Method is "GET" ? null : await BodyAsync(http, descriptor, warnings);
        var dryRun = http.Request.Query["dryRun"].Contains("All");
        var response = await handler!.HandleAsync(new(attributes, body, dryRun, warnings), http.RequestAborted);
        Responses.SendWarnings(http, warnings);
        await Responses.TreeAsync(http, response.Code, response.Body, Accept.Of(http.Request) with { Form = OutputForm.Json });
        return true;
    }

    private JsonObject Parent(RequestTarget target)
    {
        var kind = _context.Kinds.Find(target.Group, target.Version, target.Resource) ?? throw ApiException.NoSuchResource();
        var name = target.Subresource != "proxy" ? target.Name
            : ProxyRequestName.Parse(target.Name)?.Name ?? throw ApiException.BadRequest($"invalid {kind.Singular} request \"{target.Name}\"");
        var stored = _context.Store.Find(kind.Storage, kind.Namespaced ? target.Namespace : "", name) ?? throw ApiException.NotFound(kind.GroupResource, name);
        return Versions.ToRequested(kind, stored);
    }

    private static async Task<JsonObject> BodyAsync(HttpContext http, VirtualResourceDescriptor descriptor, List<string> warnings)
    {
        var group = descriptor.KindGroup.Length > 0 ? descriptor.KindGroup : descriptor.Group;
        var version = descriptor.KindVersion.Length > 0 ? descriptor.KindVersion : descriptor.Version;
        var kind = new KindDescriptor
        {
            Group = group,
            Version = version,
            Kind = descriptor.Kind,
            Plural = descriptor.Plural,
            Singular = descriptor.Singular,
            Namespaced = descriptor.Namespaced,
            Schema = BuiltInTypes.Find($"{BuiltInTypes.Package(group, version)}.{descriptor.Kind}"),
            Strategy = new PlainStrategy(),
            OlderApiVersion = descriptor.OlderKindVersion.Length > 0 ? $"{group}/{descriptor.OlderKindVersion}" : "",
        };
        var body = await BodyReader.ReadAsync(http.Request, http.RequestAborted);
        var validation = http.Request.Query.First("fieldValidation") is { Length: > 0 } asked ? asked : "Warn";
        return BodyReader.Decode(body, BodyReader.MediaType(http.Request), kind, validation, warnings);
    }

    private static (string, string, string, string) Key(VirtualResourceDescriptor descriptor) =>
        (descriptor.Group, descriptor.Version, descriptor.Plural, descriptor.Subresource);
}
