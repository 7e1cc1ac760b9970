using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;

namespace Isthmus.Images.Registry;

/// <summary>How to reach a registry.</summary>
/// <param name="CertificateAuthority">A PEM file with the only authorities to trust; empty for those of the system.</param>
/// <param name="User">Empty for no credentials.</param>
public sealed record RegistryAccess(bool PlainHttp, string CertificateAuthority, string User, string Password)
{
    /// <summary>The credentials that <c>docker login</c> or <c>podman login</c> stored for a registry.</summary>
    /// <param name="files">The files to look into, in this order; those that do not exist are skipped.</param>
    public RegistryAccess WithStored(string host, IEnumerable<string> files)
    {
        if (User.Length > 0) return this;
        foreach (var file in files.Where(File.Exists))
        {
            if (Stored(file, host) is { } found) return this with { User = found.User, Password = found.Password };
        }
        return this;
    }

    private static (string User, string Password)? Stored(string file, string host)
    {
        try
        {
            var accounts = StrictJson.Parse(InputFile.Read("registry credentials", file))?["auths"] as JsonObject;
            // Docker's own registry has this name in the file.
            string[] keys = host == RegistryName.DockerHost ? ["https://index.docker.io/v1/", "docker.io"] : [host, $"https://{host}", $"https://{host}/v2/"];
            var encoded = keys.Select(key => accounts?[key]?["auth"]?.ToString()).FirstOrDefault(text => !string.IsNullOrEmpty(text));
            if (encoded is null) return null;
            var pair = Encoding.UTF8.GetString(Convert.FromBase64String(encoded)).Split(':', 2);
            return pair.Length == 2 ? (pair[0], pair[1]) : null;
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException)
        {
            throw new ProblemException(file, "is not a file of registry credentials", "log in again, or use --username and --password-stdin", e);
        }
    }
}
