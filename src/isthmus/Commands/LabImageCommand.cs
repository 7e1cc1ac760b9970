using System.CommandLine;
using System.Globalization;
using System.Runtime.Versioning;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Lab.Supervisor;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus lab image</c>: images that Pods of the lab can run.</summary>
[SupportedOSPlatform("linux")]
internal static class LabImageCommand
{
    private const int ShortId = 12;

    internal static Command Build() => new("image", "Load images into the lab, so that its Pods can run them.") { BuildLoad(), BuildList(), BuildRemove() };

    private static Command BuildLoad()
    {
        var file = new Argument<string>("file") { Description = "Archive of 'docker save', 'podman save' or 'isthmus image build', or an OCI layout in a tar" };
        var name = new Option<string?>("--name") { Description = "Name and tag of the image, instead of those in the archive" };
        var command = new Command("load",
            "Load the images of an archive into all clusters of the lab.\n\nThe lab does not pull images. A Pod that names a loaded image with its tag runs "
                + "it, with the image's entry point, user, environment and working directory.")
            {
                file, name
            };
        command.SetAction((line, stop) =>
        {
            var path = Path.GetFullPath(line.GetValue(file)!);
            foreach (var (loaded, size) in Images().Load(path, line.GetValue(name), stop))
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Loaded {loaded}: {size / 1e6:0.0} MB unpacked"));
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static Command BuildList()
    {
        var output = new OutputOption();
        var command = new Command("list", "List the images that were loaded.") { output.Option };
        command.Aliases.Add("ls");
        command.SetAction((line, _) =>
        {
            var list = new LabImages(LabCommand.Control(yes: true).Client.Home).List();
            output.Write(line, () => list, () => Show((JsonArray)list["images"]!));
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static Command BuildRemove()
    {
        var names = new Argument<string[]>("image") { Description = "Name and tag of an image, or the beginning of its ID", Arity = ArgumentArity.OneOrMore };
        var command = new Command("remove", "Remove images that no container runs.") { names };
        command.Aliases.Add("rm");
        command.SetAction((line, stop) =>
        {
            var images = Images();
            foreach (var name in line.GetValue(names)!) Console.WriteLine($"Removed {images.Remove(name, stop)}");
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    /// <summary>For commands that change files of the lab's users.</summary>
    private static LabImages Images()
    {
        var client = LabCommand.Control(yes: true).Client;
        if (client.FindSupervisor() is not { } supervisor) throw new ProblemException("lab", "is not running", "start it with 'isthmus lab up'");
        LabImages.BecomeUsersOf(supervisor, SelfCommand.Current());
        return new(client.Home);
    }

    private static void Show(JsonArray images)
    {
        if (images.Count == 0)
        {
            Console.WriteLine("No images are loaded. Load one with: isthmus lab image load FILE.tar");
            return;
        }
        var rows = from image in images
                   from name in ((JsonArray)image!["names"]!).Select(one => (string)one!).DefaultIfEmpty("<none>")
                   select new[]
                   {
                       name, ((string)image!["id"]!)["sha256:".Length..][..ShortId],
                       string.Create(CultureInfo.InvariantCulture, $"{(long)image["size"]! / 1e6:0.0} MB"), (string)image["created"]!,
                   };
        TextTable.Write(["IMAGE", "ID", "SIZE", "CREATED"], [.. rows]);
    }
}
