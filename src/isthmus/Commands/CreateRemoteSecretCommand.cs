using System.CommandLine;
using Isthmus.Core.Flags;
using Isthmus.Operate.RemoteSecrets;
using Isthmus.Options;

namespace Isthmus.Commands;

internal static class CreateRemoteSecretCommand
{
    internal static Command Build()
    {
        var name = new Option<string?>("--name") { Description = "Name by which the other control plane knows this cluster" };
        var type = new Option<string>("--type") { Description = "Type of the Secret: remote or config", DefaultValueFactory = _ => "remote" };
        var server = new Option<string?>("--server")
        {
            Description = "Address of the API server, if the one in the kubeconfig is not reachable from the other cluster"
        };
        var whose = new Option<string>("--for")
        {
            Description = "Whose control plane uses the Secret: isthmus, or istio, which reads all Secrets and ConfigMaps of this cluster",
            DefaultValueFactory = _ => "isthmus"
        };
        var remove = new Option<bool>("--remove")
        {
            Description = "Take back the account and the permissions that --for=istio has created, instead of printing a Secret"
        };
        var account = new Option<string?>("--service-account") { Description = "ServiceAccount whose token the Secret holds" };
        var secret = new Option<string?>("--secret-name") { Description = "Token Secret of the service account to use" };
        var create = new Option<bool>("--create-service-account")
        {
            Description = "Create the service account and its permissions if they do not exist", DefaultValueFactory = _ => true
        };
        var restore = new Option<bool>("--restore-permissions")
        {
            Description = "Give the service account back the permissions that it lacks; those that it has, and its tokens, stay"
        };
        var auth = new Option<string>("--auth-type")
        {
            Description = "Authentication type; only bearer-token is supported", DefaultValueFactory = _ => "bearer-token"
        };
        var rotate = new Option<bool>("--rotate") { Description = "Create a new token even if one exists; the old one stays valid until you delete it" };
        var duration = new Option<string?>("--token-duration")
        {
            Description = "Lifetime of the token, for example 720h; renew the token with --rotate before it expires"
        }.Checked(value => Duration.Parse(value, "--token-duration"));
        var command = new Command("create-remote-secret", "Print the Secret that gives a control plane in another cluster access to this one.")
        {
            name, type, server, whose, remove, account, secret, create, restore, auth, rotate, duration,
        };
        command.SetAction(async (line, stop) =>
        {
            if (line.GetValue(auth) is { } kind and not "bearer-token")
                throw new WrongUseException("--auth-type", $"'{kind}' is not supported: control planes refuse credentials that run programs",
                    "use bearer-token");
            using var client = GlobalOptions.Client(line);
            var request = new RemoteSecretRequest
            {
                Name = line.GetValue(name), Type = line.GetValue(type)!, Server = line.GetValue(server), For = line.GetValue(whose)!,
                ServiceAccount = line.GetValue(account),
                SecretName = line.GetValue(secret), CreateServiceAccount = line.GetValue(create), RestorePermissions = line.GetValue(restore),
                Namespace = line.GetValue(GlobalOptions.Namespace) ?? line.GetValue(GlobalOptions.IstioNamespace)!,
                Rotate = line.GetValue(rotate), TokenDuration = line.GetValue(duration) is { } text ? Duration.Parse(text, "--token-duration") : null,
            };
            var secrets = new RemoteSecret(client, TimeProvider.System, note => Console.Error.WriteLine(note));
            if (!line.GetValue(remove)) Console.Write(await secrets.MakeAsync(request, stop));
            else Console.WriteLine(await secrets.RemoveAsync(request, stop)
                ? "Removed the account for a control plane of Istio, and its permissions."
                : "There is no account for a control plane of Istio.");
            return 0;
        });
        return command;
    }
}
