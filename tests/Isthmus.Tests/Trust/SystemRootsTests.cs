using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;
using Isthmus.Core.Trust;
using Isthmus.Testing;
using Isthmus.Tests.Commands;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Trust;

/// <summary>What clients of public servers trust.</summary>
public sealed class SystemRootsTests : IDisposable
{
    private const string Nonsense = "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n";

    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-roots-").FullName;
    private readonly TestCa _first = new("first"), _second = new("second");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void The_first_file_that_exists_or_the_one_that_is_chosen_has_the_roots()
    {
        Assert.Equal("/mine.pem", SystemRoots.File("/mine.pem"));
        Assert.StartsWith("/etc/", SystemRoots.File(""), StringComparison.Ordinal);
        Assert.Equal("/ca.pem", SystemRoots.FileOf("/ca.pem"));
        Assert.True(Path.IsPathRooted(SystemRoots.FileOf(SystemRoots.Name)));
    }

    [Fact]
    public void The_variables_of_OpenSSL_replace_the_file()
    {
        var (file, folder) = (Path.Combine(_folder, "bundle.pem"), Directory.CreateDirectory(Path.Combine(_folder, "certs")).FullName);
        File.WriteAllText(file, _first.Pem + "\n" + _second.Pem);
        File.WriteAllText(Path.Combine(folder, "second.pem"), _second.Pem);
        File.CreateSymbolicLink(Path.Combine(folder, "5ad8a5d6.0"), "second.pem");
        Assert.Equal(["CN=first", "CN=second"], Subjects(file, ""));
        Assert.Equal(["CN=first", "CN=second"], Subjects(file, null).TakeLast(2)); // after those of the system's folder
        Assert.Equal(["CN=second"], Subjects(null, folder));
        Assert.Equal(["CN=second"], Subjects("", $"/nowhere:{folder}"));
        Assert.Equal(["CN=second", "CN=first"], Subjects(file, folder));
        Assert.Empty(Subjects("/nowhere.pem", "/nowhere"));
        File.WriteAllText(Path.Combine(folder, "nonsense.pem"), Nonsense);
        Assert.Equal(["CN=second"], Subjects(null, folder));
    }

    [Fact]
    public void A_file_with_nonsense_is_named()
    {
        var file = Path.Combine(_folder, "bundle.pem");
        File.WriteAllText(file, Nonsense);
        Assert.StartsWith($"trusted certificates in {file}: cannot be read: ", Assert.Throws<ProblemException>(() => Subjects(file, "")).Message,
            StringComparison.Ordinal);
    }

    /// <summary>The program keeps the machine's roots from the runtime, but not from these.</summary>
    [Fact]
    public async Task Commands_trust_the_machines_roots_for_a_cluster_without_an_authority_and_start_programs_with_the_users_environment()
    {
        using var certificate = _first.Server("127.0.0.1");
        await using var server = await StartAsync(certificate);
        var (file, seen) = (Path.Combine(_folder, "bundle.pem"), Path.Combine(_folder, "seen"));
        var address = server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        await File.WriteAllTextAsync(file, _first.Pem, Stop);
        await File.WriteAllTextAsync(Path.Combine(_folder, "config"), $$"""
            apiVersion: v1
            kind: Config
            current-context: public
            contexts: [{name: public, context: {cluster: public, user: me} }]
            clusters: [{name: public, cluster: {server: "{{address}}"} }]
            users:
            - name: me
              user:
                exec:
                  apiVersion: client.authentication.k8s.io/v1
                  command: sh
                  args: [-c, 'echo "$SSL_CERT_FILE $SSL_CERT_DIR" > {{seen}}; echo "{\"status\": {\"token\": \"t\"} }"']
            """, Stop);
        string[] command = ["tag", "list", $"--kubeconfig={_folder}/config"];

        var trusting = await StartedProgram.RunAsync(command, Stop, ("SSL_CERT_FILE", file), ("SSL_CERT_DIR", "/nowhere"));
        Assert.Equal((0, ""), (trusting.ExitCode, trusting.Error));
        Assert.Equal($"{file} /nowhere\n", await File.ReadAllTextAsync(seen, Stop));

        await File.WriteAllTextAsync(file, _second.Pem, Stop);
        var strict = await StartedProgram.RunAsync(command, Stop, ("SSL_CERT_FILE", file), ("SSL_CERT_DIR", "/nowhere"));
        Assert.Equal(1, strict.ExitCode);
        Assert.Contains("certificate", strict.Error, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Subjects(string? file, string? folders)
    {
        var policy = SystemRoots.Policy(name => name switch { "SSL_CERT_FILE" => file, "SSL_CERT_DIR" => folders, _ => null });
        Assert.Equal(X509ChainTrustMode.CustomRootTrust, policy.TrustMode);
        return policy.CustomTrustStore.Select(root => root.Subject);
    }

    /// <summary>Has no object of any kind.</summary>
    private static async Task<WebApplication> StartAsync(X509Certificate2 certificate)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration()
            .ConfigureKestrel(options => options.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        var app = builder.Build();
        app.Run(context => context.Response.WriteAsJsonAsync(new
        {
            kind = "List", apiVersion = "v1", metadata = new { resourceVersion = "1" }, items = Array.Empty<string>()
        },
            context.RequestAborted));
        await app.StartAsync(Stop);
        return app;
    }
}
