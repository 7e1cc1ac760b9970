using Isthmus.Lab.ApiServer.Streaming;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer;

/// <summary>The composition root of one API server: which strategies, authenticators, plug-ins and virtual resources it has.</summary>
public static class Composition
{
    /// <summary>The strategy of a built-in kind, or null for a plain one.</summary>
    public static KindStrategy? Strategy(ApiServerContext context, string group, string kind) => null;

    public static ApiServerParts Parts(ApiServerContext context) =>
        new(new EverybodyIsAdministrator(), new EverythingIsAllowed(), [], [], StreamingResources.All(context), []);

    private sealed class EverybodyIsAdministrator : IAuthenticator
    {
        private static readonly UserIdentity Administrator = new("kubernetes-admin", "", ["system:masters", "system:authenticated"], default);

        public ValueTask<UserIdentity?> AuthenticateAsync(HttpContext context, CancellationToken stop) => new(Administrator);
    }

    private sealed class EverythingIsAllowed : IAuthorizer
    {
        public AuthorizationDecision Authorize(RequestAttributes attributes) => AuthorizationDecision.Allow();
    }
}
