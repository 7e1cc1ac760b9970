using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Discovery;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Http.Output;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.OpenApi;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.Writes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>
/// Every request comes through here: authentication, authorization, routing, and the only place that turns exceptions into answers.
/// </summary>
internal sealed partial class ApiHandler
{
    private readonly ApiServerContext _context;
    private readonly ApiServerParts _parts;
    private readonly ReadEndpoint _reads;
    private readonly WatchEndpoint _watches;
    private readonly WriteEndpoint _writes;
    private readonly DeleteEndpoint _deletes;
    private readonly VirtualEndpoint _virtual;
    private readonly NonResourceEndpoint _others;

    internal ApiHandler(ApiServerContext context, ApiServerParts parts, ObjectRegistry registry, DiscoveryDocuments discovery, OpenApiDocuments openApi)
    {
        _context = context;
        _parts = parts;
        _reads = new(context);
        _watches = new(context);
        _writes = new(context, registry);
        _deletes = new(context, registry, _reads);
        _virtual = new(context, parts);
        _others = new(parts, discovery, openApi);
    }

    internal async Task HandleAsync(HttpContext http)
    {
        http.Response.Headers["Audit-Id"] = Guid.NewGuid().ToString();
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size) size.MaxRequestBodySize = null;
        try
        {
            await RouteAsync(http);
        }
        catch (ApiException e)
        {
            if (e.Code == 403) http.Response.Headers.XContentTypeOptions = "nosniff";
            await RefuseAsync(http, e);
        }
        catch (Exception e) when (http.RequestAborted.IsCancellationRequested || e is BadHttpRequestException)
        {
            // The client is gone or does not speak HTTP: nobody reads an answer.
        }
        catch (Storage.SqliteException e)
        {
            await RefuseAsync(http, new ApiException(500, "InternalError", e.Message));
        }
        catch (Exception e)
        {
            // An internal error: the client gets a 500, the log gets the stack trace, and the server continues.
            await Console.Error.WriteLineAsync($"{http.Request.Method} {http.Request.Path}: {e}");
            await RefuseAsync(http, ApiException.Internal(e.Message));
        }
    }

    private static Task RefuseAsync(HttpContext http, ApiException e)
    {
        if (!http.Response.HasStarted) return Responses.StatusAsync(http, e);
        http.Abort();
        return Task.CompletedTask;
    }

    private async Task RouteAsync(HttpContext http)
    {
        var path = http.Request.Path.Value ?? "/";
        var user = await _parts.Authenticator.AuthenticateAsync(http, http.RequestAborted) ?? throw ApiException.Unauthorized();
        var target = RequestTarget.Parse(path);
        var attributes = Attributes(http, user, target, path);
        Authorize(attributes);
        if (!target.IsResource)
        {
            await _others.HandleAsync(http, path);
            return;
        }
        if (!_context.Kinds.HasGroupVersion(target.Group, target.Version) && !_virtual.HasGroupVersion(target.Group, target.Version))
        {
            await Responses.NotFoundAsync(http);
            return;
        }
        if (await _virtual.TryHandleAsync(http, target, attributes)) return;
        var kind = _context.Kinds.Find(target.Group, target.Version, target.Resource);
        if (kind is null || !Fits(kind, target))
        {
            // Custom resources are served by another part of a real server, which returns no Status for undefined paths.
            if (!_context.Kinds.All.Any(other => other.Group == target.Group && !other.IsCustom) && !_virtual.HasGroupVersion(target.Group, target.Version))
            {
                await Responses.NotFoundAsync(http);
                return;
            }
            throw ApiException.NoSuchResource();
        }
        var call = new Call(http, target, kind.Namespaced ? attributes : attributes with { Namespace = "" }, kind);
        try
        {
            await DispatchAsync(call);
        }
        catch (ApiException) when (!http.Response.HasStarted)
        {
            // Rejected clients get the warnings too: they often name the reason.
            Responses.SendWarnings(http, call.Warnings);
            throw;
        }
    }

    /// <summary>The path has a namespace exactly where the kind needs one.</summary>
    private static bool Fits(KindDescriptor kind, RequestTarget target) =>
        kind.Namespaced ? target.Name.Length == 0 || target.Namespace.Length > 0 : target.Namespace.Length == 0 || kind.Plural == "namespaces";

    private void Authorize(RequestAttributes attributes)
    {
        var decision = _parts.Authorizer.Authorize(attributes);
        if (decision.Allowed) return;
        throw Refusal(attributes, decision.Reason);
    }

    /// <summary>403, with the message of a real API server.</summary>
    internal static ApiException Refusal(RequestAttributes attributes, string reason)
    {
        var suffix = reason.Length > 0 ? $": {reason}" : "";
        if (!attributes.IsResourceRequest)
            return new(403, "Forbidden", $"forbidden: User \"{attributes.User.Name}\" cannot {attributes.Verb} path \"{attributes.Path}\"{suffix}");
        var where = attributes.Namespace.Length > 0 ? $"in the namespace \"{attributes.Namespace}\"" : "at the cluster scope";
        return ApiException.Forbidden(attributes.Group, attributes.Resource, attributes.Name,
            $"User \"{attributes.User.Name}\" cannot {attributes.Verb} resource \"{attributes.FullResource}\" in API group \"{attributes.Group}\" "
                + $"{where}{suffix}");
    }

    private static RequestAttributes Attributes(HttpContext http, UserIdentity user, RequestTarget target, string path)
    {
        var method = http.Request.Method;
        if (!target.IsResource)
            return new(user, method.ToLowerInvariant(), "", "", "", "", "", "", path, false);
        var verb = Verb(method, http, target);
        var name = target.Name;
        if (name.Length == 0 && verb is "list" or "watch" or "deletecollection") name = NameInSelector(http);
        return new(user, verb, target.Group, target.Version, target.Resource, target.Subresource, target.Namespace, name, path, true);
    }

    private static string Verb(string method, HttpContext http, RequestTarget target) => method switch
    {
        "GET" or "HEAD" when target.IsWatchPath => "watch",
        "GET" or "HEAD" when target.Name.Length > 0 => "get",
        "GET" or "HEAD" => http.Request.Query.IsOn("watch") ? "watch" : "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => target.Name.Length > 0 ? "delete" : "deletecollection",
        _ => method.ToLowerInvariant(),
    };

    private static string NameInSelector(HttpContext http)
    {
        foreach (var term in http.Request.Query.First("fieldSelector").Split(','))
            if (term.StartsWith("metadata.name=", StringComparison.Ordinal)) return term["metadata.name=".Length..].TrimStart('=');
        return "";
    }

    private Task DispatchAsync(Call call)
    {
        var (kind, target) = (call.Kind, call.Target);
        var method = call.Http.Request.Method;
        if (method is "HEAD" or "OPTIONS" or "TRACE" or "CONNECT") throw ApiException.MethodNotAllowed();
        if (target.Subresource.Length > 0) return SubresourceAsync(call);
        var verb = call.Attributes.Verb;
        if (!kind.Verbs.Contains(verb) && !(verb == "watch" && kind.Verbs.Contains("list"))) throw ApiException.MethodNotAllowed();
        var onObject = target.Name.Length > 0;
        switch (verb)
        {
            case "get":
                return _reads.GetAsync(call);
            case "list":
                return _reads.ListAsync(call);
            case "watch":
                return _watches.WatchAsync(call);
            case "create" when !onObject:
                if (kind.Namespaced && target.Namespace.Length == 0)
                    throw ApiException.MethodNotAllowed();
                return _writes.CreateAsync(call);
            case "update" when onObject:
                return _writes.UpdateAsync(call);
            case "patch" when onObject:
                return _writes.PatchAsync(call);
            case "delete":
                return _deletes.DeleteAsync(call);
            case "deletecollection":
                return _deletes.DeleteCollectionAsync(call);
            default:
                throw kind.IsCustom ? ApiException.BadRequest("name must be provided") : ApiException.MethodNotAllowed();
        }
    }

    private Task SubresourceAsync(Call call)
    {
        var subresource = call.Kind.Subresource(call.Target.Subresource) ?? throw ApiException.NoSuchResource();
        if (!subresource.Verbs.Contains(call.Attributes.Verb))
            throw call.Kind.IsCustom
                ? new ApiException(405, "MethodNotAllowed",
                    $"{call.Attributes.Verb} is not supported on resources of kind \"{call.Kind.Plural}.{call.Kind.Group}\"",
                    new(call.Kind.Group, call.Kind.Plural))
                : ApiException.MethodNotAllowed();
        return call.Attributes.Verb switch
        {
            "get" => _reads.GetAsync(call),
            "update" => _writes.UpdateAsync(call),
            _ => _writes.PatchAsync(call),
        };
    }
}
