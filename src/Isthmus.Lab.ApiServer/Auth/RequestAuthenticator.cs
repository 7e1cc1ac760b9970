using System.Runtime.CompilerServices;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Identity;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>Authenticates by client certificate, else bearer token, else as anonymous; then handles impersonation.</summary>
internal sealed class RequestAuthenticator(
    X509Certificate2 ca, TokenVerifier tokens, IAuthorizer authorizer, ApiServerSettings settings, TimeProvider time) : IAuthenticator
{
    private const string Authenticated = "system:authenticated";
    private const string Bearer = "Bearer ";

    // Plain HTTP has no certificates; it is served to tests on the loopback only, where a caller without a token is the administrator.
    private readonly UserIdentity _stranger = settings.PlainHttp
        ? new("kubernetes-admin", "", [Pki.PkiNames.Masters, Authenticated], default)
        : UserIdentity.Anonymous;

    // One entry lives as long as its connection's certificate: chains are built once for each connection.
    private readonly ConditionalWeakTable<X509Certificate2, CertificateVerdict> _verdicts = [];

    private sealed record CertificateVerdict(UserIdentity? User, DateTimeOffset Until);

    public ValueTask<UserIdentity?> AuthenticateAsync(HttpContext context, CancellationToken stop)
    {
        var caller = Caller(context);
        return new(caller is null ? null : Impersonation.Apply(caller, context.Request.Headers, authorizer));
    }

    private UserIdentity? Caller(HttpContext context)
    {
        // A certificate of another CA does not matter if the caller has a token.
        var certificate = context.Connection.ClientCertificate;
        if (certificate is not null && FromCertificate(certificate) is { } known) return known;
        var header = context.Request.Headers.Authorization.ToString();
        var token = header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? header[Bearer.Length..].Trim() : "";
        if (token.Length == 0) return certificate is null ? _stranger : null;
        return tokens.Verify(token, [settings.Issuer]).User is { } user ? WithGroup(user, Authenticated) : null;
    }

    private UserIdentity? FromCertificate(X509Certificate2 certificate)
    {
        var verdict = _verdicts.GetValue(certificate, Judge);
        return verdict.Until > time.GetUtcNow() ? verdict.User : null;
    }

    private CertificateVerdict Judge(X509Certificate2 certificate)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(ca);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTime = time.GetUtcNow().UtcDateTime;
        chain.ChainPolicy.ApplicationPolicy.Add(new("1.3.6.1.5.5.7.3.2"));
        var until = new DateTimeOffset(certificate.NotAfter.ToUniversalTime());
        return new(chain.Build(certificate) ? Read(certificate) : null, until);
    }

    private static UserIdentity? Read(X509Certificate2 certificate)
    {
        var name = "";
        var groups = new List<string>();
        foreach (var part in certificate.SubjectName.EnumerateRelativeDistinguishedNames(reversed: false))
        {
            if (part.HasMultipleElements) continue;
            if (part.GetSingleElementType().Value == "2.5.4.3") name = part.GetSingleElementValue() ?? "";
            if (part.GetSingleElementType().Value == "2.5.4.10") groups.Add(part.GetSingleElementValue() ?? "");
        }
        return name.Length == 0 ? null : new(name, "", [.. groups, Authenticated], default);
    }

    private static UserIdentity WithGroup(UserIdentity user, string group) =>
        user.Groups.Contains(group) ? user : user with { Groups = [.. user.Groups, group] };
}
