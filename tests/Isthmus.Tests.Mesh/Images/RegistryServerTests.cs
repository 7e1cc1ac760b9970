using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Lab;
using Xunit;

namespace Isthmus.Tests.Mesh.Images;

/// <summary>Uploads to the registry server of Debian, with TLS and a password.</summary>
[Trait("shard", "images")]
public sealed class RegistryServerTests : IAsyncLifetime
{
    private const int Port = 5000;

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-registry-").FullName;
    private Process? _registry;

    private static string Name => $"localhost:{Port}/team/isthmus:1.0";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Tests have no network: <c>./test</c> downloads the packages before.</summary>
    private static string Packages => Path.Combine(BuiltProgram.Artifacts, "packages-13");

    private string Authority => Path.Combine(_directory, "ca.pem");

    public async ValueTask InitializeAsync()
    {
        WriteCertificate();
        // The password is 'secret'.
        await File.WriteAllTextAsync(Path.Combine(_directory, "users"), "me:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n");
        var settings = Path.Combine(_directory, "config.yml");
        await File.WriteAllTextAsync(settings, $$"""
            version: 0.1
            log: {level: error}
            storage: {filesystem: {rootdirectory: {{_directory}}/storage} }
            http: {addr: "127.0.0.1:{{Port}}", tls: {certificate: {{_directory}}/server.pem, key: {{_directory}}/key.pem} }
            auth: {htpasswd: {realm: test, path: {{_directory}}/users} }
            """);
        // ./test unpacks it there: its package would start a service.
        var program = Path.Combine(BuiltProgram.Artifacts, "registry/usr/bin/docker-registry");
        _registry = Process.Start(new ProcessStartInfo(program, ["serve", settings]));
        await Eventually.TrueAsync(() => Answers(), "the registry listens");
    }

    public async ValueTask DisposeAsync()
    {
        _registry!.Kill();
        await _registry.WaitForExitAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task An_image_is_pushed_once()
    {
        // The configuration, and the layers: a native program needs none for .NET.
        var blobs = BuiltProgram.IsNative ? 3 : 4;
        var first = await PushAsync("secret", "--ca-file", Authority);
        Assert.Equal(0, first.Code);
        Assert.Contains($"{blobs} blobs uploaded, 0 were there", first.Output, StringComparison.Ordinal);
        var digest = first.Output.Trim().Split('\n')[^1];
        Assert.Equal(digest,
            await File.ReadAllTextAsync(Path.Combine(_directory, "storage/docker/registry/v2/repositories/team/isthmus/_manifests/tags/1.0/current/link"),
                Stop));
        Assert.Contains($"0 blobs uploaded, {blobs} were there", (await PushAsync("secret", "--ca-file", Authority)).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_password_and_an_unknown_authority_are_told()
    {
        var wrong = await PushAsync("wrong", "--ca-file", Authority);
        Assert.Equal(1, wrong.Code);
        Assert.Contains($"Error: registry localhost:{Port}: could not log in: 401 Unauthorized: UNAUTHORIZED: authentication required (check --username",
            wrong.Output, StringComparison.Ordinal);
        var unknown = await PushAsync("secret");
        Assert.Equal(1, unknown.Code);
        Assert.Contains($"Error: registry localhost:{Port}: TLS failed: ", unknown.Output, StringComparison.Ordinal);
    }

    private async Task<(int Code, string Output)> PushAsync(string password, params string[] options)
    {
        using var process = Process.Start(new ProcessStartInfo(BuiltProgram.Command.Program,
            [.. BuiltProgram.Command.Arguments, "image", "push", Name, "--packages", Packages, "--username", "me", "--password-stdin", .. options])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        await process.StandardInput.WriteLineAsync(password.AsMemory(), Stop);
        process.StandardInput.Close();
        var errors = process.StandardError.ReadToEndAsync(Stop);
        var output = await process.StandardOutput.ReadToEndAsync(Stop);
        output += await errors;
        await process.WaitForExitAsync(Stop);
        return (process.ExitCode, output);
    }

    private static bool Answers()
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Connect(IPAddress.Loopback, Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private void WriteCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch.AddYears(50), DateTimeOffset.UnixEpoch.AddYears(130));
        foreach (var file in (string[])[Authority, Path.Combine(_directory, "server.pem")]) File.WriteAllText(file, certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(_directory, "key.pem"), key.ExportPkcs8PrivateKeyPem());
    }
}
